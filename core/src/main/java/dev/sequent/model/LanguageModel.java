package dev.sequent.model;

import dev.sequent.autograd.Checkpoint;
import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.mixer.MixerState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.SequenceMixer;
import dev.sequent.mixer.StateCost;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Dropout;
import dev.sequent.nn.Embedding;
import dev.sequent.nn.Init;
import dev.sequent.nn.Layer;
import dev.sequent.nn.Linear;
import dev.sequent.nn.Norm;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.BackendException;
import dev.sequent.type.CapacityException;
import dev.sequent.type.DType;
import dev.sequent.type.DataException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * A causal language model: embedding, blocks of any mixers, final norm, output head.
 *
 * <pre>{@code
 * LanguageModel model = new LanguageModel(LanguageModelConfig.of(256, 128, LayerPattern.parse("MMA", letters)), new Init(device, 42));
 * Tensor logits = model.forward(ids, SequenceInfo.of(ids));      // (B, T, V)
 * }</pre>
 *
 * <p>Parameter names: {@code embeddings.weight}, {@code position_embeddings.weight}, {@code layers.N.norm}, {@code layers.N.mixer},
 * {@code layers.N.mlp_norm}, {@code layers.N.mlp}, {@code norm_f}, {@code lm_head.weight}. Running a model does not change it: threads may
 * share it, each with states of its own.
 */
public final class LanguageModel extends Layer {
    private final LanguageModelConfig config;
    private final Device device;
    private final Embedding embeddings;
    private final Embedding positions;
    private final List<Block> blocks = new ArrayList<>();
    private final Norm finalNorm;
    private final Linear head;
    private final Origin origin;

    /**
     * What a loaded model remembers of its checkpoint.
     *
     * @param values what {@code config.json} said
     */
    record Origin(CheckpointFamily family, Map<String, Object> values) {}

    /**
     * A model with fresh parameters. When it cannot be made, for example for lack of memory, nothing of it stays behind.
     *
     * @throws dev.sequent.type.OutOfDeviceMemoryException when the parameters do not fit on the device
     */
    public LanguageModel(LanguageModelConfig config, Init init) {
        this(config, init, null);
    }

    /** {@code origin} is null for a model that does not come from a checkpoint. */
    LanguageModel(LanguageModelConfig config, Init init, Origin origin) {
        this.config = config;
        this.origin = origin;
        this.device = init.device();
        double std = config.initializer_range();
        Init own = init.remembering();
        try {
            this.embeddings = child("embeddings", new Embedding(own, std, config.vocab_size(), config.hidden_size()));
            this.positions = config.max_position_embeddings() == 0 ? null
                    : child("position_embeddings", new Embedding(own, std, config.max_position_embeddings(), config.hidden_size()));
            for (int i = 0; i < config.layers().size(); i++) {
                blocks.add(child("layers." + i, new Block(config, config.layers().get(i), own)));
            }
            this.finalNorm = child("norm_f", config.createNorm(own));
            this.head = config.tie_word_embeddings() ? null
                    : child("lm_head", Linear.normal(own, std, config.hidden_size(), config.vocab_size(), false));
        } catch (RuntimeException | Error failure) {
            own.discard();
            throw failure;
        }
    }

    /**
     * Loads the model stored in {@code directory}, in any format of {@link CheckpointFamilies#known}, with F32 parameters.
     *
     * @throws dev.sequent.type.CheckpointException when files are missing or malformed, or do not hold exactly the configured model
     * @throws dev.sequent.type.ConfigException when the configuration is invalid or describes what this library does not implement
     */
    public static LanguageModel load(Path directory, Device device) {
        return load(directory, device, DType.F32);
    }

    /**
     * {@link #load(Path, Device)} with parameters of another type.
     *
     * @param dtype F32, BF16 or F64, as far as the device supports it
     */
    public static LanguageModel load(Path directory, Device device, DType dtype) {
        return ModelFiles.load(directory, device, dtype);
    }

    /** Writes the model into {@code directory}, in the format from which it was loaded, else in this library's own. */
    public void save(Path directory) {
        ModelFiles.save(this, directory);
    }

    /**
     * Writes the model into {@code directory} in the format called {@code family}, for example {@code llama}.
     *
     * @throws dev.sequent.type.ConfigException when there is no such format, or it cannot express this model
     */
    public void save(Path directory, String family) {
        ModelFiles.save(this, directory, family, ModelFiles.MAX_SHARD_BYTES);
    }

    /** The format from which the model was loaded; empty for a model made anew. */
    public Optional<CheckpointFamily> family() {
        return origin().map(Origin::family);
    }

    /** What is known of the checkpoint from which the model was loaded. */
    Optional<Origin> origin() {
        return Optional.ofNullable(origin);
    }

    /** What the model was made from. */
    public LanguageModelConfig config() {
        return config;
    }

    /** Where the model lives. */
    public Device device() {
        return device;
    }

    /** The blocks, first to last. */
    List<Block> blocks() {
        return blocks;
    }

    /** The mixers, first layer to last. */
    public List<SequenceMixer<?>> mixers() {
        List<SequenceMixer<?>> list = new ArrayList<>();
        blocks.forEach(b -> list.add(b.mixer()));
        return list;
    }

    /**
     * Logits of every position; differentiable.
     *
     * @param ids integer token ids (B, T); padding may hold any id of the vocabulary
     * @return (B, T, V)
     */
    public Tensor forward(Tensor ids, SequenceInfo info) {
        return Scope.returning(() -> logits(hidden(ids, info, false)));
    }

    /**
     * The final hidden states (B, T, D), before the head; differentiable.
     *
     * @param recompute whether the blocks' inner values are computed again in the backward pass instead of being kept
     */
    public Tensor hidden(Tensor ids, SequenceInfo info, boolean recompute) {
        ids.expect("ids", info.batch(), info.time());
        return Scope.returning(() -> {
            Block.Stream x = new Block.Stream(Dropout.apply(embed(ids, info, null), config.dropout(), info.dropout()), null);
            for (Block block : blocks) {
                try (Scope scope = Scope.open()) {
                    x = recompute ? recomputed(block, x.x(), info) : block.forward(x, info);
                    scope.keep(x.x(), x.branch());
                }
            }
            return x.normalised(finalNorm).normalised();
        });
    }

    private static Block.Stream recomputed(Block block, Tensor in, SequenceInfo info) {
        UnaryOperator<Tensor> run = h -> block.forward(new Block.Stream(h, null), info).sum();
        return new Block.Stream(Checkpoint.run(run, in, info.dropout().orElse(null)), null);
    }

    /** Logits (..., V) of hidden states (..., D). */
    public Tensor logits(Tensor hidden) {
        return head == null ? Linear.project(hidden, embeddings.weight().value()) : head.forward(hidden);
    }

    private Tensor embed(Tensor ids, SequenceInfo info, int[] offset) {
        Tensor x = embeddings.forward(ids);
        if (positions == null) {
            return x;
        }
        if (offset != null && device.capturing()) {
            throw new BackendException("capture", "a step that is the same at every position", "one with learned positions");
        }
        int[] at = info.positions(offset);
        for (int p : at) {
            if (p >= config.max_position_embeddings()) {
                throw new CapacityException("positions", "at most max_position_embeddings = " + config.max_position_embeddings()
                        + " tokens", "position " + p);
            }
        }
        return x.add(positions.forward(Tensor.of(device, at, info.batch(), info.time())));
    }

    /** States of all layers that have seen nothing; the caller closes them. */
    public ModelState newState(StateSpec spec) {
        List<MixerState> states = new ArrayList<>();
        try {
            blocks.forEach(b -> states.add(b.mixer().newState(spec)));
        } catch (RuntimeException | Error failure) {
            states.forEach(MixerState::close);
            throw failure;
        }
        return new ModelState(states, spec.batch());
    }

    /**
     * Feeds tokens and returns the logits that follow the last position.
     *
     * @param ids (B, T), T >= 1, left-padded where rows differ in length
     * @return (B, V)
     * @throws dev.sequent.type.CapacityException when a layer has no room for them; all states are then unchanged
     */
    public Tensor prefill(Tensor ids, SequenceInfo info, ModelState state) {
        ids.expect("ids", state.batch(), info.time());
        ids.expect("ids", info.batch(), info.time());
        state.requireWhole("prefill");
        state.requireRoom(info);
        return Scope.returning(() -> {
            Tensor x = embed(ids, info, state.tokens());
            state.begin();
            for (int i = 0; i < blocks.size(); i++) {
                Block block = blocks.get(i);
                MixerState s = state.layers().get(i);
                Tensor in = x;
                x = Scope.returning(() -> block.prefill(in, info, s));
                if (in != x) {
                    in.close();
                }
            }
            state.finish();
            state.advance(info.lengths());
            return logits(finalNorm.forward(x.slice(1, x.dim(1) - 1, x.dim(1)))).reshape(state.batch(), config.vocab_size());
        });
    }

    /**
     * Feeds one token per row and returns the logits that follow it.
     *
     * <p>With recurrent layers only, and without learned positions, a step can be recorded for a graph
     * ({@link dev.sequent.spi.GraphCapture}):
     * replays read the ids from the memory of {@code ids} and carry the state on where it is. The state's counts of
     * tokens stay as they are, and it must not be stepped, reordered or reset by other means between replays.
     *
     * @param ids (B, 1)
     * @return (B, V)
     */
    public Tensor step(Tensor ids, ModelState state) {
        ids.expect("ids", state.batch(), 1);
        state.requireWhole("step");
        return Scope.returning(() -> {
            SequenceInfo info = SequenceInfo.of(state.batch(), 1);
            state.requireRoom(info);
            Block.Stream x = new Block.Stream(embed(ids, info, state.tokens()), null);
            state.begin();
            for (int i = 0; i < blocks.size(); i++) {
                x = blocks.get(i).step(x, state.layers().get(i));
            }
            state.finish();
            if (!device.capturing()) {
                state.advance(info.lengths());
            }
            return logits(x.normalised(finalNorm).normalised()).reshape(state.batch(), config.vocab_size());
        });
    }

    /** Token ids on this model's device, after checking that they belong to the vocabulary. */
    public Tensor ids(int[] ids, int batch, int time) {
        for (int id : ids) {
            if (id < 0 || id >= config.vocab_size()) {
                throw new DataException("ids", "token ids in [0, " + config.vocab_size() + ")", id + "");
            }
        }
        return Tensor.of(device, ids, batch, time);
    }

    /** Operations and bytes of a pass over {@code w}'s tokens, with the logits of every token. */
    public Work work(Workload w) {
        double width = config.hidden_size();
        Work embedding = Work.pointwise(w, w.tokens() * width, 0, positions == null ? 1 : 2, 1);
        Work all = embedding.plus(Norm.work(w, width, false)).plus(Work.linear(w, w.tokens(), width, config.vocab_size()));
        for (Block block : blocks) {
            all = all.plus(block.work(w));
        }
        return all;
    }

    /**
     * Memory of states and of the parameters that one decode step reads; of a mixture of experts, those of the experts that one token
     * takes.
     */
    public StateCost cost(StateSpec spec) {
        StateCost total = new StateCost(0, 0, 0);
        long unread = 0;
        for (int i = 0; i < blocks.size(); i++) {
            total = total.plus(blocks.get(i).mixer().cost(spec));
            MlpConfig mlp = config.layers().get(i).mlp();
            if (mlp != null) {
                unread += mlp.unread(config.hidden_size()) * embeddings.weight().value().dtype().bytes();
            }
        }
        long bytes = parameters().stream().mapToLong(p -> p.value().size() * p.value().dtype().bytes()).sum() - unread;
        return new StateCost(total.fixedBytes(), total.bytesPerToken(), bytes);
    }
}
