"""`greenroom report`: what happened in a launch, as text and as a page."""
