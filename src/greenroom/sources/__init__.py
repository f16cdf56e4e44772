"""Sources, one file a kind. Import the one you need: `from greenroom.sources import nimble`."""
