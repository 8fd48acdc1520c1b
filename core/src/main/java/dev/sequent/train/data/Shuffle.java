package dev.sequent.train.data;

/**
 * A random order of 0 .. n-1 that needs no memory: a Feistel network over the next even number of bits, applied again
 * until the result is below n (cycle walking; Black and Rogaway 2002). Determined by (n, seed, epoch). Immutable.
 */
final class Shuffle {
    private static final int ROUNDS = 4;

    private final long n;
    private final int halfBits;
    private final long key;

    Shuffle(long n, long seed, long epoch) {
        this.n = n;
        this.halfBits = Math.max(1, (64 - Long.numberOfLeadingZeros(n - 1) + 1) / 2);
        this.key = mix(seed ^ mix(epoch + 0x9E3779B97F4A7C15L));
    }

    long at(long i) {
        long x = i;
        do {
            x = encrypt(x);
        } while (x >= n);
        return x;
    }

    private long encrypt(long x) {
        long mask = (1L << halfBits) - 1;
        long left = x >>> halfBits;
        long right = x & mask;
        for (int round = 0; round < ROUNDS; round++) {
            long next = left ^ mix(key + right * ROUNDS + round) & mask;
            left = right;
            right = next;
        }
        return left << halfBits | right;
    }

    /** SplitMix64's finaliser. */
    private static long mix(long z) {
        long y = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        y = (y ^ y >>> 27) * 0x94D049BB133111EBL;
        return y ^ y >>> 31;
    }
}
