"""Real servers on this machine for the tests and `linewarden dev up`: Kafka, Redis and an RTSP camera."""
