"""Nothing may hang: the one bound of time that tests have. Servers import it, so this module imports no pytest."""

from typing import Final

# Seconds after which something counts as hanging. It is never a measure of speed: nothing that works comes near it, on
# the busiest machine.
HANGING: Final = 300.0
