"""Where and how much: settings, raw layouts, cleaning rules and result tables, all as data."""
