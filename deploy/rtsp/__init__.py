"""The RTSP camera of the development set-up; `server.py` runs under the interpreter that has GStreamer."""
