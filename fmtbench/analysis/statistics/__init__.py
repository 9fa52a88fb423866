"""Statistics: intervals, tests, power, and simulations that check them."""
