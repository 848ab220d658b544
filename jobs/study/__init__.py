"""From the lake's tables to the panel, its result tables and what is shown of them."""
