-- When the person last said that it wants nothing more on this channel. Other than unsubscribed_at, it says nothing about other channels.
ALTER TABLE suppressions ADD COLUMN stopped_at BIGINT;
