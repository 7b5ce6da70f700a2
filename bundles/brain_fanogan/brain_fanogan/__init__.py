"""Fast MR de-aliased by a GAN (DAGAN), thick slices thinned and noisy MR denoised."""

from common.files import bundle_root_of

bundle_root = bundle_root_of(__file__)
