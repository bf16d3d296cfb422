"""The engine process: configuration file, boot and stop order, sockets, log output."""
