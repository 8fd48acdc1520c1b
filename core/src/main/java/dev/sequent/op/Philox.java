package dev.sequent.op;

/**
 * The counter-based generator Philox 4x32-10: ten rounds of multiplications that turn a counter and a key into four random
 * words. There is no state, so that element i of a random tensor is a function of (seed, i) alone and every backend, thread count
 * and recomputation finds the same bits.
 *
 * <p>Source: Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
 */
public final class Philox {
    /** Words in one block. */
    public static final int WORDS = 4;

    private static final int ROUNDS = 10;
    private static final int MULTIPLIER_0 = 0xD2511F53;
    private static final int MULTIPLIER_1 = 0xCD9E8D57;
    /** Added to the key after every round: the golden ratio and the square root of 3, less 1, as binary fractions. */
    private static final int WEYL_0 = 0x9E3779B9;
    private static final int WEYL_1 = 0xBB67AE85;

    private Philox() {}

    /**
     * Writes block {@code counter} of the stream {@code key} to the first four elements of {@code words}. The low half of the key
     * and of the counter come first; the upper two words of the 128-bit counter are zero.
     */
    public static void block(long key, long counter, int[] words) {
        block((int) key, (int) (key >>> 32), (int) counter, (int) (counter >>> 32), 0, 0, words);
    }

    /** The general form: the key's two words and the counter's four, lowest first. */
    public static void block(int key0, int key1, int counter0, int counter1, int counter2, int counter3, int[] words) {
        int k0 = key0;
        int k1 = key1;
        int c0 = counter0;
        int c1 = counter1;
        int c2 = counter2;
        int c3 = counter3;
        for (int round = 0; round < ROUNDS; round++) {
            long p0 = Integer.toUnsignedLong(MULTIPLIER_0) * Integer.toUnsignedLong(c0);
            long p1 = Integer.toUnsignedLong(MULTIPLIER_1) * Integer.toUnsignedLong(c2);
            c0 = (int) (p1 >>> 32) ^ c1 ^ k0;
            c1 = (int) p1;
            c2 = (int) (p0 >>> 32) ^ c3 ^ k1;
            c3 = (int) p0;
            k0 += WEYL_0;
            k1 += WEYL_1;
        }
        words[0] = c0;
        words[1] = c1;
        words[2] = c2;
        words[3] = c3;
    }

    /** The top 24 bits of a word as a fraction in [0, 1): exact in F32. */
    public static float uniform(int word) {
        return (word >>> 8) * 0x1p-24f;
    }
}
