"""From peaks or prepared sequence files to audited one-hot datasets."""
