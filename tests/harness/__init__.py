"""What the tests share: a server to test, ways to talk to it, and ways to break it."""
