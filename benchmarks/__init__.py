"""How long reprocheck takes, as ratios to floors and peers measured in the same run."""
