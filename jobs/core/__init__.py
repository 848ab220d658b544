"""The lake and its ledger: storage, locks, commits, receipts and builds; the only code that touches Delta."""
