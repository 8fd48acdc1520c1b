package dev.sequent.model;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.io.StoredTensor;
import dev.sequent.io.WeightStore;
import dev.sequent.mixer.MixerConfig;
import dev.sequent.mixer.StateCost;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Norm;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.LongStream;

/**
 * What a model consists of and what it costs: parts with their parameters, memory of states and caches, operations per token. A checkpoint
 * is
 * described without loading it: its configuration and the headers of its files say everything, and are checked against each other as in
 * loading.
 *
 * <pre>{@code
 * System.out.println(ModelDescription.of(Path.of("runs/latest/hybrid")));
 * long cache = ModelDescription.of(model, 8, 65_536).loads().getFirst().stateBytes();
 * }</pre>
 *
 * @param family the format that it was loaded from, {@code sequent} for the library's own
 * @param vocabulary V
 * @param width D
 * @param maxPositions length of a learned table of positions, or 0 where there is no such limit
 * @param dtype element type of the parameters that are not kept in F32, and of states
 * @param stored what the files hold; empty for a model in memory
 * @param parts embeddings, layers, final norm and head, in the order of computation
 * @param batch rows for which {@code loads} counts states
 * @param loads memory and work at several lengths
 */
public record ModelDescription(String family, int vocabulary, int width, int maxPositions, DType dtype, Optional<Stored> stored,
        List<Part> parts, int batch, List<Load> loads) {
    private static final List<Long> USUAL_LENGTHS = List.of(1L << 10, 1L << 13, 1L << 16, 1L << 20);
    private static final StateCost FREE = new StateCost(0, 0, 0);

    /**
     * What a checkpoint's files hold.
     *
     * @param tensors their number
     * @param bytes of all of them
     * @param values number of values of each element type
     */
    public record Stored(int tensors, long bytes, Map<DType, Long> values) {
        static Stored of(WeightStore store) {
            Map<DType, Long> values = new EnumMap<>(DType.class);
            long bytes = 0;
            for (StoredTensor t : store.tensors()) {
                values.merge(t.dtype(), t.shape().size(), Long::sum);
                bytes += t.bytes();
            }
            return new Stored(store.tensors().size(), bytes, Collections.unmodifiableMap(values));
        }
    }

    /**
     * A part of the model.
     *
     * @param name its prefix in parameter names, for example {@code layers.3.mixer}
     * @param kind what it is, for example {@code mamba}
     * @param settings its configuration; empty where the kind says it all
     * @param parameters number of its parameters, those of its parts included
     * @param bytes of its parameters
     * @param cost memory of one sequence; its {@code parameterBytes} are those that one decode step reads
     * @param work operations and bytes of a sequence's first token; a layer adds its residual connections to those of its parts
     * @param parts what it consists of
     */
    public record Part(String name, String kind, Map<String, Object> settings, long parameters, long bytes, StateCost cost, Work work,
            List<Part> parts) {
        /** Copies the collections. */
        public Part {
            settings = Collections.unmodifiableMap(new LinkedHashMap<>(settings));
            parts = List.copyOf(parts);
        }
    }

    /**
     * Memory and work at one length.
     *
     * @param tokens length of the context
     * @param stateBytes of states and caches of {@code batch} rows that have room for so many tokens
     * @param flopsPerToken floating-point operations of the next token of one row
     * @param parameterBytes that one decode step reads, whatever the number of rows
     */
    public record Load(long tokens, long stateBytes, double flopsPerToken, long parameterBytes) {}

    /** Copies the lists. */
    public ModelDescription {
        parts = List.copyOf(parts);
        loads = List.copyOf(loads);
    }

    /** A model in memory, for one row of 1k, 8k, 64k and 1M tokens, or as many as it has positions. */
    public static ModelDescription of(LanguageModel model) {
        return of(model, 1);
    }

    /**
     * A model in memory.
     *
     * @param batch rows
     * @param lengths tokens per row; none for the usual ones
     * @throws ConfigException unless all are at least 1, and below 2^31
     */
    public static ModelDescription of(LanguageModel model, int batch, long... lengths) {
        return of(model, Optional.empty(), batch, lengths);
    }

    /** The checkpoint in {@code directory} as F32, for one row of the usual lengths. */
    public static ModelDescription of(Path directory) {
        return of(directory, DType.F32, 1);
    }

    /**
     * The checkpoint in {@code directory}, in any format of {@link CheckpointFamilies#known}, as {@link LanguageModel#load} would load it.
     *
     * @param dtype the type to load it as
     * @param batch rows
     * @param lengths tokens per row; none for the usual ones
     * @throws dev.sequent.type.CheckpointException when files are missing or malformed, or do not fit the configuration
     * @throws ConfigException when the configuration is invalid, or batch or lengths are not in [1, 2^31)
     */
    public static ModelDescription of(Path directory, DType dtype, int batch, long... lengths) {
        return ModelFiles.outline(directory, dtype, (model, store) -> of(model, Optional.of(Stored.of(store)), batch, lengths));
    }

    private static ModelDescription of(LanguageModel model, Optional<Stored> stored, int batch, long... lengths) {
        if (batch < 1 || Arrays.stream(lengths).anyMatch(n -> n < 1 || n > Integer.MAX_VALUE)) {
            throw new ConfigException("describe", "a batch of at least 1 and lengths in [1, 2^31)",
                    batch + " and " + Arrays.toString(lengths));
        }
        LanguageModelConfig config = model.config();
        DType dtype = model.parameters().iterator().next().value().dtype();
        List<Load> loads = new ArrayList<>();
        for (long n : lengths.length == 0 ? usualLengths(config.max_position_embeddings()) : lengths) {
            StateCost cost = model.cost(new StateSpec(batch, (int) n, dtype, model.device()));
            loads.add(new Load(n, batch * cost.bytesAt(n), model.work(Workload.decode(1, n, dtype)).flops(), cost.parameterBytes()));
        }
        return new ModelDescription(model.family().map(CheckpointFamily::name).orElse(ModelFiles.OWN), config.vocab_size(),
                config.hidden_size(),
                config.max_position_embeddings(), dtype, stored, new Parts(model, dtype).all(), batch, loads);
    }

    /** Up to the number of positions, where there is one, and that number itself. */
    private static long[] usualLengths(int positions) {
        long limit = positions == 0 ? Long.MAX_VALUE : positions;
        return LongStream.concat(USUAL_LENGTHS.stream().mapToLong(n -> n).filter(n -> n < limit),
                LongStream.of(positions).filter(n -> n > 0))
                .toArray();
    }

    /** Number of parameters. */
    public long parameters() {
        return parts.stream().mapToLong(Part::parameters).sum();
    }

    /** Bytes of all parameters in memory. */
    public long bytes() {
        return parts.stream().mapToLong(Part::bytes).sum();
    }

    /** Several lines for people to read. */
    @Override
    public String toString() {
        return DescriptionText.of(this);
    }

    /** Bytes with a binary unit, for example {@code 1.5 MiB}. */
    public static String bytes(long n) {
        return DescriptionText.bytes(n);
    }

    /** Takes a model apart. */
    private static final class Parts {
        private final LanguageModel model;
        private final LanguageModelConfig config;
        private final StateSpec spec;
        private final Workload token;
        private final Work norm;

        Parts(LanguageModel model, DType dtype) {
            this.model = model;
            this.config = model.config();
            this.spec = new StateSpec(1, 1, dtype, model.device());
            this.token = Workload.decode(1, 0, dtype);
            this.norm = Norm.work(token, config.hidden_size(), false);
        }

        List<Part> all() {
            List<Part> parts = new ArrayList<>();
            parts.add(part("embeddings", "table", Map.of(), FREE, Work.NONE));
            if (config.max_position_embeddings() > 0) {
                parts.add(part("position_embeddings", "table", Map.of(), FREE, Work.NONE));
            }
            for (int i = 0; i < config.layers().size(); i++) {
                parts.add(layer(i));
            }
            parts.add(part("norm_f", config.norm(), Map.of(), FREE, norm));
            boolean tied = config.tie_word_embeddings();
            Work head = Work.linear(token, 1, config.hidden_size(), config.vocab_size());
            parts.add(part("lm_head", tied ? "tied to embeddings" : "linear", Map.of(), FREE, head));
            return parts;
        }

        private Part layer(int i) {
            String name = "layers." + i;
            LayerSpec spec = config.layers().get(i);
            MixerConfig mixer = spec.mixer();
            List<Part> inner = new ArrayList<>();
            inner.add(part(name + ".norm", config.norm(), Map.of(), FREE, norm));
            Block block = model.blocks().get(i);
            inner.add(part(name + ".mixer", mixer.type(), mixer.toMap(), block.mixer().cost(this.spec), block.mixer().work(token)));
            if (spec.mlp() != null) {
                inner.add(part(name + ".mlp_norm", config.norm(), Map.of(), FREE, norm));
                inner.add(mlp(name + ".mlp", spec.mlp(), block.mlp().work(token)));
            }
            StateCost cost = inner.stream().map(Part::cost).reduce(FREE, StateCost::plus);
            long parameters = inner.stream().mapToLong(Part::parameters).sum();
            return new Part(name, "layer", Map.of(), parameters, inner.stream().mapToLong(Part::bytes).sum(), cost, block.work(token),
                    inner);
        }

        private Part mlp(String name, MlpConfig mlp, Work work) {
            Part all = part(name, mlp.num_experts() > 0 ? "experts" : mlp.type(), mlp.toMap(), FREE, work);
            long read = all.bytes() - mlp.unread(config.hidden_size()) * spec.dtype().bytes();
            StateCost cost = new StateCost(0, 0, read);
            return new Part(name, all.kind(), all.settings(), all.parameters(), all.bytes(), cost, work, List.of());
        }

        /** A part without inner parts; all its parameters are read for every token, except where the cost says otherwise. */
        private Part part(String name, String kind, Map<String, Object> settings, StateCost cost, Work work) {
            long[] sum = new long[2];
            model.namedParameters().forEach((parameter, p) -> {
                if (parameter.startsWith(name + ".")) {
                    sum[0] += p.value().size();
                    sum[1] += p.value().size() * p.value().dtype().bytes();
                }
            });
            StateCost read = new StateCost(cost.fixedBytes(), cost.bytesPerToken(), sum[1]);
            return new Part(name, kind, settings, sum[0], sum[1], read, work, List.of());
        }
    }
}
