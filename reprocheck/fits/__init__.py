"""Whether an image will run on a host's driver and GPU, judged from facts before it is started."""

from reprocheck.fits.host import amended, captured, described
from reprocheck.fits.judge import EXIT_CODES, fits

__all__ = ["EXIT_CODES", "amended", "captured", "described", "fits"]
