package dev.sequent.benchmarks;

import dev.sequent.autograd.Autograd;
import dev.sequent.mixer.MixerState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelState;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.transformer.cache.KvCache;
import dev.sequent.type.DType;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A model that has seen a context and generates from there, greedily, a token a call: the step, reading the logits, choosing the largest.
 *
 * <p>A model of recurrent layers alone has really read the whole context. Where there are caches of keys and values, they are filled with
 * random numbers up to the last {@value #READ} tokens, which the model reads: reading a million tokens with attention takes hours, and what
 * a token costs depends on their number alone. A cache forgets each token again, so that the context stays what it is. Used by one thread.
 */
public final class Decoding implements AutoCloseable {
    private static final int CHUNK = 2048;
    private static final int READ = 64;

    private final LanguageModel model;
    private final ModelState state;
    private final List<KvCache> caches;
    private int last;

    /** A state of {@code model} after {@code context} random tokens. */
    public Decoding(LanguageModel model, int context) {
        this.model = model;
        DType dtype = model.parameters().iterator().next().value().dtype();
        this.state = model.newState(new StateSpec(1, context + 1, dtype, model.device()));
        this.caches = state.layers().stream().filter(KvCache.class::isInstance).map(KvCache.class::cast).toList();
        int read = caches.isEmpty() ? context : Math.min(context, READ);
        for (int from = 0; from < context - read; from += CHUNK) {
            fill(Math.min(CHUNK, context - read - from), from, dtype);
        }
        SplittableRandom random = new SplittableRandom(context);
        for (int from = 0; from < read; from += CHUNK) {
            int count = Math.min(CHUNK, read - from);
            int[] ids = random.ints(count, 0, model.config().vocab_size()).toArray();
            Autograd.noGrad(() -> {
                try (Scope _ = Scope.open()) {
                    model.prefill(model.ids(ids, 1, count), SequenceInfo.of(1, count), state);
                }
                return null;
            });
        }
    }

    /** Random keys and values of {@code count} tokens. */
    private void fill(int count, long seed, DType dtype) {
        Rng rng = new Rng(seed);
        for (KvCache cache : caches) {
            try (Scope _ = Scope.open()) {
                long[] shape = {1, count, cache.keys().dim(2), cache.keys().dim(3)};
                Tensor keys = rng.uniform(model.device(), DType.F32, -1.0, 1.0, shape).cast(dtype);
                Tensor values = rng.uniform(model.device(), DType.F32, -1.0, 1.0, shape).cast(dtype);
                cache.append(keys, values, SequenceInfo.of(1, count));
            }
        }
    }

    /** Generates a token and returns its id. */
    public int token() {
        return Autograd.noGrad(() -> {
            try (Scope _ = Scope.open()) {
                last = largest(model.step(model.ids(new int[] {last}, 1, 1), state).toFloats());
            }
            caches.forEach(c -> c.rewind(1));
            return last;
        });
    }

    private static int largest(float[] logits) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        return best;
    }

    /** The caches of keys and values, first layer to last. */
    List<KvCache> caches() {
        return caches;
    }

    /** Bytes of the states and caches. */
    public long stateBytes() {
        return state.layers().stream().mapToLong(MixerState::bytes).sum();
    }

    /** Logits (1, T, V) of a model's steps over ids (1, T). */
    static Tensor steps(LanguageModel model, Tensor ids) {
        int time = (int) ids.dim(1);
        DType dtype = model.parameters().iterator().next().value().dtype();
        return Autograd.noGrad(() -> {
            try (Scope scope = Scope.open(); ModelState fresh = model.newState(new StateSpec(1, time, dtype, model.device()))) {
                Tensor[] logits = new Tensor[time];
                for (int t = 0; t < time; t++) {
                    logits[t] = model.step(ids.slice(1, t, t + 1), fresh).unsqueeze(1);
                }
                return scope.keep(Tensor.concat(1, logits));
            }
        });
    }

    /**
     * Fails unless the model's steps give the logits of its forward pass, over {@code time} tokens.
     *
     * @param tolerance relative to the largest logit
     * @throws IllegalStateException when they differ
     */
    public static void check(String name, LanguageModel model, int time, double tolerance) {
        try (Scope _ = Scope.open()) {
            Tensor ids = ModelBenchmark.ids(model, 1, time);
            Tensor expected = Autograd.noGrad(() -> model.forward(ids, SequenceInfo.of(1, time)));
            Check.close(name, List.of(steps(model, ids)), List.of(expected), tolerance);
        }
    }

    @Override
    public void close() {
        state.close();
    }
}
