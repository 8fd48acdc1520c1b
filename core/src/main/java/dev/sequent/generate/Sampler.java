package dev.sequent.generate;

import dev.sequent.op.Philox;
import dev.sequent.type.DataException;
import java.util.ArrayList;
import java.util.List;

/**
 * Chooses tokens for one sequence: processors change the logits, then the rules of a {@link Sampling}, then a token is drawn. Remembers the
 * tokens and its place in the random stream; used by one thread.
 */
public final class Sampler {
    private final boolean greedy;
    private final List<LogitsProcessor> chain = new ArrayList<>();
    private final TokenHistory history = TokenHistory.of(new int[0]);
    private final long key;
    private long drawn;

    /** A sampler for row {@code row} of a batch; different rows draw from different streams. */
    public Sampler(Sampling rules, int row) {
        this(List.of(), rules, row);
    }

    /** A sampler that applies {@code processors} first, in their order, and then the rules. */
    public Sampler(List<LogitsProcessor> processors, Sampling rules, int row) {
        this.greedy = rules.temperature() == 0;
        this.key = rules.seed() + 0x9E3779B97F4A7C15L * row;
        chain.addAll(processors);
        chain.addAll(rules.processors());
    }

    /**
     * Tells the sampler of a token of the prompt.
     *
     * @throws DataException for an id below 0
     */
    public void observe(int token) {
        history.observe(token);
    }

    /** The tokens so far. */
    TokenHistory history() {
        return history;
    }

    /**
     * The next token; it joins the history.
     *
     * @param logits one number per token of the vocabulary; overwritten
     * @throws DataException when the logits hold a NaN, a positive infinity or no finite number, before or after the processors
     */
    public int next(float[] logits) {
        Logits.best(logits);
        chain.forEach(p -> p.process(history, logits));
        int best = Logits.best(logits);
        int token = greedy ? best : draw(logits, best);
        history.append(token);
        return token;
    }

    private int draw(float[] logits, int best) {
        double[] weight = Logits.weights(logits);
        double total = 0;
        for (double w : weight) {
            total += w;
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

    /** 53 random bits in [0, 1). */
    private double uniform() {
        int[] words = new int[Philox.WORDS];
        Philox.block(key, drawn++, words);
        return ((words[0] >>> 5) * 0x1p26 + (words[1] >>> 6)) * 0x1p-53;
    }
}
