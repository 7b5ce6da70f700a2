"""3-D brain MR synthesised from noise: alpha-WGAN-GP, and a VAE, a WGAN and diffusion models as variants."""

from common.files import bundle_root_of

bundle_root = bundle_root_of(__file__)
