"""Wire-level stand-ins for the vendors' services: what is not RF-DETR or Gemini says what it is.

They speak the services' HTTP, check what is sent to them as the services do, and fail in scripted ways. For tests and
benchmarks only.
"""
