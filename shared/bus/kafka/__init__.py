"""The bus on Apache Kafka. The only package that imports aiokafka."""

from shared.bus.kafka.bus import KafkaBus
from shared.bus.kafka.settings import Compression, KafkaBusSettings

__all__ = ["Compression", "KafkaBus", "KafkaBusSettings"]
