"""Sets of pictures on disk: good ones to train on, labelled ones to measure on."""
