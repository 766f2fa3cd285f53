"""Ingest: cameras and other picture sources, published as captures and frames. Imports only `shared`."""
