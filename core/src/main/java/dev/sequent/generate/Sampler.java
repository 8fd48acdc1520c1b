package dev.sequent.generate;

import dev.sequent.op.Philox;
import dev.sequent.type.DataException;
import java.util.Arrays;
import java.util.BitSet;

/** Chooses tokens for one sequence by the rules of a {@link Sampling}. Remembers its place in the random stream; used by one thread. */
public final class Sampler {
    private final Sampling rules;
    private final BitSet seen = new BitSet();
    private final long key;
    private long drawn;

    /** A sampler for row {@code row} of a batch; different rows draw from different streams. */
    public Sampler(Sampling rules, int row) {
        this.rules = rules;
        this.key = rules.seed() + 0x9E3779B97F4A7C15L * row;
    }

    /** Tells the sampler of a token of the prompt, for the repetition penalty. */
    public void observe(int token) {
        if (token < 0) {
            throw new DataException("sample", "token ids of at least 0", token + "");
        }
        seen.set(token);
    }

    /**
     * The next token; it counts as observed.
     *
     * @param logits one number per token of the vocabulary; overwritten
     * @throws DataException when the logits hold a NaN or no finite number
     */
    public int next(float[] logits) {
        penalise(logits);
        int best = argmax(logits);
        int token = rules.temperature() == 0 ? best : draw(logits, best);
        seen.set(token);
        return token;
    }

    private void penalise(float[] logits) {
        if (rules.repetition_penalty() == 1) {
            return;
        }
        float penalty = (float) rules.repetition_penalty();
        for (int i = seen.nextSetBit(0); i >= 0 && i < logits.length; i = seen.nextSetBit(i + 1)) {
            logits[i] = logits[i] > 0 ? logits[i] / penalty : logits[i] * penalty;
        }
    }

    private static int argmax(float[] logits) {
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

    private int draw(float[] logits, int best) {
        double[] weight = new double[logits.length];
        for (int i = 0; i < logits.length; i++) {
            weight[i] = Math.exp((logits[i] - (double) logits[best]) / rules.temperature());
        }
        if (rules.top_k() > 0 && rules.top_k() < logits.length || rules.top_p() < 1) {
            truncate(logits, weight);
        }
        double total = 0;
        for (int i = 0; i < weight.length; i++) {
            weight[i] = weight[i] < rules.min_p() ? 0 : weight[i]; // the most likely token has weight 1
            total += weight[i];
        }
        double u = uniform() * total;
        for (int i = 0; i < weight.length; i++) {
            u -= weight[i];
            if (u < 0) {
                return i;
            }
        }
        return best;
    }

    /** Sets the weights outside top-k and top-p to zero. Ties are broken by the lower token. */
    private void truncate(float[] logits, double[] weight) {
        long[] order = new long[logits.length];
        for (int i = 0; i < order.length; i++) {
            int bits = Float.floatToIntBits(logits[i] + 0f); // + 0f: no negative zero
            int ascending = bits < 0 ? ~bits : bits ^ Integer.MIN_VALUE;
            order[i] = ((long) (~ascending) & 0xFFFFFFFFL) << 31 | i; // descending by logit, then ascending by token
        }
        Arrays.sort(order);
        int keep = rules.top_k() == 0 ? order.length : Math.min(rules.top_k(), order.length);
        double kept = 0;
        for (int i = 0; i < keep; i++) {
            kept += weight[(int) (order[i] & 0x7FFFFFFF)];
        }
        double target = rules.top_p() * kept;
        double sum = 0;
        for (int i = 0; i < order.length; i++) {
            int token = (int) (order[i] & 0x7FFFFFFF);
            boolean inside = i < keep && (i == 0 || sum < target);
            sum += weight[token];
            weight[token] = inside ? weight[token] : 0;
        }
    }

    /** 53 random bits in [0, 1). */
    private double uniform() {
        int[] words = new int[Philox.WORDS];
        Philox.block(key, drawn++, words);
        return ((words[0] >>> 5) * 0x1p26 + (words[1] >>> 6)) * 0x1p-53;
    }
}
