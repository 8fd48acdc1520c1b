package dev.sequent.model;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.fused.norm.Normalize;
import dev.sequent.mixer.MixerState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.SequenceMixer;
import dev.sequent.nn.Dropout;
import dev.sequent.nn.FeedForward;
import dev.sequent.nn.Init;
import dev.sequent.nn.Layer;
import dev.sequent.nn.Norm;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/**
 * A pre-norm residual block: x + mixer(norm(x)), then, where there is a feed-forward part, h + mlp(mlp_norm(h)).
 *
 * <p>Checkpoint names {@code norm}, {@code mixer}, {@code mlp_norm}, {@code mlp}.
 */
final class Block extends Layer {
    private final Norm norm;
    private final SequenceMixer<?> mixer;
    private final Norm mlpNorm;
    private final FeedForward mlp;
    private final double dropout;

    Block(LanguageModelConfig config, LayerSpec spec, Init init) {
        int width = config.hidden_size();
        int depth = config.layers().size();
        this.norm = child("norm", config.createNorm(init));
        this.mixer = child("mixer", spec.mixer().create(width, depth, init));
        boolean hasMlp = spec.mlp() != null;
        this.mlpNorm = hasMlp ? child("mlp_norm", config.createNorm(init)) : null;
        double std = config.initializer_range();
        this.mlp = hasMlp ? child("mlp", spec.mlp().create(width, std, std / Math.sqrt(2.0 * depth), init)) : null;
        this.dropout = config.dropout();
    }

    SequenceMixer<?> mixer() {
        return mixer;
    }

    /** The feed-forward part, or null. */
    FeedForward mlp() {
        return mlp;
    }

    Work work(Workload w) {
        double width = mixer.width();
        Work all = Norm.work(w, width, false).plus(mixer.work(w)).plus(Work.pointwise(w, w.tokens() * width, 1, 2, 1));
        return mlp == null ? all : all.plus(Norm.work(w, width, true)).plus(mlp.work(w));
    }

    /**
     * A residual stream (B, T, D) whose last addition is still to be done, by the norm that follows.
     *
     * @param branch what is to be added to {@code x}; null for nothing
     */
    record Stream(Tensor x, Tensor branch) {
        Tensor sum() {
            return branch == null ? x : x.add(branch);
        }

        /** The sum, and what {@code norm} makes of it. */
        Normalize.Added normalised(Norm norm) {
            return branch == null ? new Normalize.Added(x, norm.forward(x)) : norm.forward(x, branch);
        }
    }

    Stream forward(Stream in, SequenceInfo info) {
        Normalize.Added x = in.normalised(norm);
        return feedForward(x.sum(), Dropout.apply(mixer.forward(x.normalised(), info), dropout, info.dropout()), info.dropout());
    }

    Tensor prefill(Tensor x, SequenceInfo info, MixerState state) {
        return feedForward(x, prefill(mixer, norm.forward(x), info, state), Optional.empty()).sum();
    }

    Stream step(Stream in, MixerState state) {
        Normalize.Added x = in.normalised(norm);
        return feedForward(x.sum(), step(mixer, x.normalised(), state), Optional.empty());
    }

    /** x + mixed, and the feed-forward part on top of it. */
    private Stream feedForward(Tensor x, Tensor mixed, Optional<Rng> rng) {
        if (mlp == null) {
            return new Stream(x, mixed);
        }
        Normalize.Added h = mlpNorm.forward(x, mixed);
        return new Stream(h.sum(), Dropout.apply(mlp.forward(h.normalised()), dropout, rng));
    }

    // a model's state was made by its own mixers, layer by layer, so the kinds of state agree
    @SuppressWarnings("unchecked")
    private static <S extends MixerState> Tensor prefill(SequenceMixer<S> mixer, Tensor x, SequenceInfo info, MixerState state) {
        return mixer.prefill(x, info, (S) state);
    }

    @SuppressWarnings("unchecked")
    private static <S extends MixerState> Tensor step(SequenceMixer<S> mixer, Tensor x, MixerState state) {
        return mixer.step(x, (S) state);
    }
}
