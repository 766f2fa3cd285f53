"""Video by FFmpeg: files, and live RTSP cameras. Only this package imports av."""
