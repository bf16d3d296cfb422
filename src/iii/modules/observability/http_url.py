"""What a URL of the configuration must look like, to be found wrong when the file is read."""

HTTP_URL = r"^https?://([^\s/?#@]*@)?(\[[0-9A-Fa-f:.]+\]|[^\s/?#:@\[\]]+)(:[0-9]{1,5})?([/?#]\S*)?$"
