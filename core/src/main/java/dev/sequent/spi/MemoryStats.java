package dev.sequent.spi;

/**
 * Memory of one device as its backend sees it.
 *
 * @param liveHandles handles that were returned and not yet released
 * @param liveBytes bytes that live handles keep
 * @param pooledBytes bytes that are free in the backend's pool
 * @param peakBytes the largest {@code liveBytes} so far
 * @param limitBytes the most that may be allocated, or {@link Long#MAX_VALUE}
 */
public record MemoryStats(long liveHandles, long liveBytes, long pooledBytes, long peakBytes, long limitBytes) {}
