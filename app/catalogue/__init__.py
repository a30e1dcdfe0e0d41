"""What can be chosen to train with: data sets, uploads, frozen teachers."""
