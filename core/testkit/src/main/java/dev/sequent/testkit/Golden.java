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
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * A tiny model of a public family with what its reference implementation computes for it: logits, loss, the gradient of every parameter, the losses of a short
 * AdamW run, and a greedy continuation, all in F64 on F32 weights.
 *
 * <p>{@code core/testkit/goldens/make_goldens.py} made the files with Hugging Face transformers; the metadata of {@code golden.safetensors} names
 * the versions and the seed. Opening unpacks {@code config.json}, {@code model.safetensors} and {@code golden.safetensors} from the class path into
 * a temporary {@link #directory}, which is a checkpoint like any other; closing deletes it. {@link GoldenCheck} compares a model with it.
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
    /** How many tokens of each row the greedy continuation starts from. */
    public static final int PROMPT = 8;
    /** Learning rate of the AdamW run. */
    public static final double LEARNING_RATE = 1e-2;

    private static final String EXPECTED = "golden.safetensors";
    private static final String GRADIENT = "grad.";
    private static final List<String> FILES = List.of("config.json", WeightStore.SINGLE, EXPECTED);

    private final String family;
    private final Path directory;
    private final WeightStore expected;

    private Golden(String family, Path directory) {
        this.family = family;
        this.directory = directory;
        this.expected = WeightStore.open(directory.resolve(EXPECTED));
    }

    /**
     * Opens the golden of a family.
     *
     * @throws CheckpointException when there is none of that name
     */
    public static Golden open(String family) {
        if (!FAMILIES.contains(family)) {
            throw new CheckpointException("golden", "one of " + FAMILIES, "'" + family + "'");
        }
        try {
            Path directory = Files.createTempDirectory("sequent-golden-");
            try {
                for (String name : FILES) {
                    try (InputStream in = Golden.class.getResourceAsStream("goldens/" + family + "/" + name)) {
                        Files.copy(in, directory.resolve(name));
                    }
                }
                return new Golden(family, directory);
            } catch (IOException | RuntimeException | Error failure) {
                delete(directory);
                throw failure;
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void delete(Path directory) throws IOException {
        for (String name : FILES) {
            Files.deleteIfExists(directory.resolve(name));
        }
        Files.deleteIfExists(directory);
    }

    /** Name of the family, the {@code model_type} of its configuration. */
    public String family() {
        return family;
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
        expected.tensors().stream().map(t -> t.name()).filter(n -> n.startsWith(GRADIENT)).forEach(n -> names.add(n.substring(GRADIENT.length())));
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

    /** Losses before each of five AdamW steps on the same batch, and after the last; {@link #optimizer} with {@link #LEARNING_RATE}, no clipping. */
    public double[] losses() {
        return floats("losses");
    }

    /** Settings of the AdamW run: betas 0.9 and 0.95, eps 1e-8, no weight decay. */
    public AdamW.Settings optimizer() {
        return new AdamW.Settings(0.9, 0.95, 1e-8, 0);
    }

    /** The greedy continuation of the first {@value #PROMPT} tokens of each row. */
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
