"""From recorded runs to what people look at."""
