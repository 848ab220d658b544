"""Dynamic panel GMM: design, instruments, estimation, tests, post-estimation and Monte Carlo."""
