"""`greenroom launch`, `start`, `stop` and `delete`: what makes and ends sessions."""
