"""The kind `rfdetr`: an RF-DETR of one's own, detection or segmentation, as an ONNX file on this machine."""
