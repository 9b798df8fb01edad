"""Makes probe.png and probe.jpg, the encoded images of the algorithm fingerprint (needs Pillow).

They are frozen: making them anew would change every fingerprint.
"""
from PIL import Image

image = Image.new("RGB", (32, 32))
image.putdata([(8 * x, 8 * y, (x * y) % 256 if (x // 8 + y // 8) % 2 else 255 - 4 * x) for y in range(32) for x in range(32)])
image.save("probe.png", optimize=True)
image.save("probe.jpg", quality=85)
