package dev.sequent.generate;

import dev.sequent.type.DataException;
import java.util.Arrays;

/** Arithmetic on one row of logits. Negative infinity stands for a token that cannot come. */
final class Logits {
    private static final long TOKEN = 0x7FFFFFFFL;

    private Logits() {}

    /**
     * The token with the largest logit; of several the first.
     *
     * @throws DataException when a logit is NaN or positive infinity, or none is finite
     */
    static int best(float[] logits) {
        int best = -1;
        for (int i = 0; i < logits.length; i++) {
            if (Float.isNaN(logits[i]) || logits[i] == Float.POSITIVE_INFINITY) {
                throw new DataException("sample", "finite logits", logits[i] + " for token " + i);
            }
            if (best < 0 || logits[i] > logits[best]) {
                best = i;
            }
        }
        if (best < 0 || logits[best] == Float.NEGATIVE_INFINITY) {
            throw new DataException("sample", "at least one finite logit", "none among " + logits.length);
        }
        return best;
    }

    /** The largest logit. */
    static float max(float[] logits) {
        float max = Float.NEGATIVE_INFINITY;
        for (float x : logits) {
            max = x > max ? x : max;
        }
        return max;
    }

    /** The logarithm of the sum of exponentials: a logit minus this is a log-probability. */
    static double logSumExp(float[] logits) {
        float max = max(logits);
        double sum = 0;
        for (float x : logits) {
            sum += Math.exp((double) x - max);
        }
        return max + Math.log(sum);
    }

    /** exp(logit - largest logit): probabilities up to a factor, 1 for the most likely token. There is a finite logit. */
    static double[] weights(float[] logits) {
        float max = max(logits);
        double[] weights = new double[logits.length];
        for (int i = 0; i < weights.length; i++) {
            weights[i] = Math.exp((double) logits[i] - max);
        }
        return weights;
    }

    /** The tokens with a finite logit by falling logit; of equal ones the lower token first. */
    static int[] descending(float[] logits) {
        float[] negated = new float[logits.length];
        for (int i = 0; i < negated.length; i++) {
            negated[i] = -logits[i];
        }
        return ascending(negated);
    }

    /** The tokens with a value below positive infinity by rising value; of equal ones the lower token first. */
    static int[] ascending(float[] values) {
        long[] order = new long[values.length];
        int n = 0;
        for (int i = 0; i < values.length; i++) {
            if (values[i] < Float.POSITIVE_INFINITY) {
                int bits = Float.floatToIntBits(values[i] + 0f); // + 0f: no negative zero
                int rising = bits < 0 ? ~bits : bits ^ Integer.MIN_VALUE;
                order[n++] = (rising & 0xFFFFFFFFL) << 31 | i;
            }
        }
        Arrays.sort(order, 0, n);
        int[] tokens = new int[n];
        Arrays.setAll(tokens, i -> (int) (order[i] & TOKEN));
        return tokens;
    }

    /** Takes out the tokens of {@code order} from place {@code kept} on. */
    static void keepFirst(float[] logits, int[] order, int kept) {
        for (int i = kept; i < order.length; i++) {
            logits[order[i]] = Float.NEGATIVE_INFINITY;
        }
    }
}
