"""What several tests share: tiny models, toys, pictures, a server, a browser."""
