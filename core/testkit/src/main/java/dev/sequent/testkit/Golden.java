package dev.sequent.testkit;

import dev.sequent.io.WeightStore;
import dev.sequent.train.AdamW;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * A tiny model of a public family with what its reference implementation computes for it, in F64 on F32 weights: for {@link #FAMILIES}
 * logits, loss, the gradient of every parameter, the losses of a short AdamW run, and a greedy continuation; for the
 * {@link #CONFIGURATIONS}, which are further configurations of the same families, logits and greedy continuations of prompts of different
 * lengths.
 *
 * <p>{@code core/testkit/goldens/make_goldens.py} and {@code make_variants.py} made the files with Hugging Face transformers; the metadata
 * of {@code golden.safetensors} names the versions and the seed. The former leaves transformers as it is, which computes parts of some
 * models in F32 even where the rest is F64; the latter makes it compute all in F64. Opening unpacks {@code config.json},
 * {@code model.safetensors} and {@code golden.safetensors} from the class path into a temporary {@link #directory}, which is a checkpoint
 * like any other, where the weights of a configuration follow from a rule and are not stored; closing deletes it. {@link GoldenCheck}
 * compares a model with it.
 *
 * <pre>{@code
 * try (Golden golden = Golden.open("llama")) {
 *     double[] logits = golden.logits();                                       // (B, T, V), row-major
 *     double[] gradient = golden.gradient("model.embed_tokens.weight");
 * }
 * }</pre>
 *
 * <p>Immutable until it is closed, and safe for use by several threads.
 */
public final class Golden implements AutoCloseable {
    /** The families with a golden. */
    public static final List<String> FAMILIES = List.of("gpt2", "llama", "mamba", "mamba2", "jamba");
    /**
     * Further configurations: odd sizes, groups, one key-value head or as many as heads, kinds of rotary embedding, sequences longer than
     * any chunk.
     */
    public static final List<String> CONFIGURATIONS = List.of("gpt2-odd", "gpt2-exact-gelu", "llama-one-kv-head", "llama-all-kv-heads",
            "llama-long", "llama-rope-linear", "llama-rope-dynamic", "llama-rope-dynamic-long", "llama-rope-yarn", "llama-rope-longrope",
            "llama-rope-longrope-short", "llama-rope-llama3", "mamba-odd", "mamba-no-conv-bias", "mamba-long", "mamba2-groups",
            "mamba2-limit", "mamba2-long", "jamba-odd", "jamba-dense", "jamba-long");
    /** Learning rate of the AdamW run. */
    public static final double LEARNING_RATE = 1e-2;

    private static final int PROMPT = 8;
    private static final int[] PROMPTS = {1, 7};
    private static final String EXPECTED = "golden.safetensors";
    private static final String GRADIENT = "grad.";
    private static final List<String> FILES = List.of("config.json", WeightStore.SINGLE, EXPECTED);

    private final String name;
    private final Path directory;
    private final WeightStore expected;

    private Golden(String name, Path directory) {
        this.name = name;
        this.directory = directory;
        this.expected = WeightStore.open(directory.resolve(EXPECTED));
    }

    /**
     * Opens one of {@link #FAMILIES} or {@link #CONFIGURATIONS}.
     *
     * @throws CheckpointException when there is none of that name
     */
    public static Golden open(String name) {
        boolean stored = FAMILIES.contains(name);
        if (!stored && !CONFIGURATIONS.contains(name)) {
            throw new CheckpointException("golden", "one of " + FAMILIES + " or " + CONFIGURATIONS, "'" + name + "'");
        }
        try {
            Path directory = Files.createTempDirectory("sequent-golden-");
            try {
                for (String file : FILES) {
                    if (stored || !file.equals(WeightStore.SINGLE)) {
                        try (InputStream in = Golden.class.getResourceAsStream("goldens/" + name + "/" + file)) {
                            Files.copy(in, directory.resolve(file));
                        }
                    }
                }
                Golden golden = new Golden(name, directory);
                if (!stored) {
                    GoldenWeights.write(directory.resolve(WeightStore.SINGLE), golden.expected.metadata().get("weights"));
                }
                return golden;
            } catch (IOException | RuntimeException | Error failure) {
                delete(directory);
                throw failure;
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void delete(Path directory) throws IOException {
        for (String file : FILES) {
            Files.deleteIfExists(directory.resolve(file));
        }
        Files.deleteIfExists(directory);
    }

    /** The name under which it was opened. */
    public String name() {
        return name;
    }

    /** Name of the family, the {@code model_type} of its configuration. */
    public String family() {
        return name.contains("-") ? name.substring(0, name.indexOf('-')) : name;
    }

    /** Whether loss, gradients and the losses of training are known. */
    public boolean hasGradients() {
        return expected.contains("loss");
    }

    /**
     * Whether the reference's rotary frequencies depend on the length of the sequence, so that its greedy continuations belong to other
     * frequencies than its logits. The configuration fixes them by {@code sequence_length} to those of the logits.
     */
    public boolean dependsOnLength() {
        return "true".equals(expected.metadata().get("depends_on_length"));
    }

    /** The checkpoint: {@code config.json} and {@code model.safetensors}. */
    public Path directory() {
        return directory;
    }

    /** Library versions and seed. */
    public String origin() {
        return "torch " + expected.metadata().get("torch") + ", transformers " + expected.metadata().get("transformers") + ", seed "
                + expected.metadata().get("seed");
    }

    /** Token ids, B rows of T. */
    public int[][] inputIds() {
        return rows("input_ids");
    }

    /** Logits (B, T, V) of {@link #inputIds}, row-major. */
    public double[] logits() {
        return floats("logits");
    }

    /** V. */
    public int vocabulary() {
        return (int) expected.tensor("logits").shape().dim(2);
    }

    /** Mean cross-entropy of the next token over the T - 1 positions of all rows that have one. */
    public double loss() {
        return floats("loss")[0];
    }

    /** Names of the parameters, as in the checkpoint, whose gradients are known. */
    public Set<String> gradientNames() {
        Set<String> names = new LinkedHashSet<>();
        expected.tensors().stream().map(t -> t.name()).filter(n -> n.startsWith(GRADIENT))
                .forEach(n -> names.add(n.substring(GRADIENT.length())));
        return names;
    }

    /** Gradient of {@link #loss} with respect to a parameter, named and laid out as in the checkpoint, row-major. */
    public double[] gradient(String name) {
        return floats(GRADIENT + name);
    }

    /** Shape of {@link #gradient}. */
    public long[] gradientShape(String name) {
        return expected.tensor(GRADIENT + name).shape().toArray();
    }

    /**
     * Losses before each of five AdamW steps on the same batch, and after the last; {@link #optimizer} with {@link #LEARNING_RATE}, no
     * clipping.
     */
    public double[] losses() {
        return floats("losses");
    }

    /** Settings of the AdamW run: betas 0.9 and 0.95, eps 1e-8, no weight decay. */
    public AdamW.Settings optimizer() {
        return new AdamW.Settings(0.9, 0.95, 1e-8, 0);
    }

    /** The beginnings of the rows of {@link #inputIds} from which the greedy continuations start. */
    public int[][] prompts() {
        int[][] prompts = inputIds();
        for (int b = 0; b < prompts.length; b++) {
            prompts[b] = Arrays.copyOf(prompts[b], hasGradients() ? PROMPT : PROMPTS[b]);
        }
        return prompts;
    }

    /** The greedy continuation of each of {@link #prompts}, by itself. */
    public int[][] generated() {
        return rows("generated");
    }

    private double[] floats(String name) {
        MemorySegment data = expected.data(name);
        if (expected.tensor(name).dtype() != DType.F64) {
            throw new CheckpointException("golden", "F64 values of " + name, expected.tensor(name).dtype().toString());
        }
        return data.toArray(ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN));
    }

    private int[][] rows(String name) {
        long[] values = expected.data(name).toArray(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN));
        int time = (int) expected.tensor(name).shape().dim(1);
        int[][] rows = new int[values.length / time][time];
        for (int i = 0; i < values.length; i++) {
            rows[i / time][i % time] = (int) values[i];
        }
        return rows;
    }

    @Override
    public void close() {
        expected.close();
        try {
            delete(directory);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
