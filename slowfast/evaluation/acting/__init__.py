"""Acting for real on plans that were made in a dream: in many unseen worlds side by side, beside luck and the truth."""
