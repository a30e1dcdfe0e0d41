"""The features of a study's networks: similarities, and maps of them by t-SNE and UMAP."""
