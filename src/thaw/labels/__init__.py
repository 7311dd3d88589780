"""Labels that are probably wrong: by what is said of an image without knowing its label, and by pictures that look alike."""

from thaw.labels.kernel import out_of_fold
from thaw.labels.suspects import Images, no_suspects, suspects

__all__ = ["Images", "no_suspects", "out_of_fold", "suspects"]
