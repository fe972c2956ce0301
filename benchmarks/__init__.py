"""What gansearch costs and gains, against what one would do instead. Each prints ratios and their spread."""
