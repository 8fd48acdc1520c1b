package dev.sequent.model;

import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.io.SafetensorsIndex;
import dev.sequent.io.StoredTensor;
import dev.sequent.io.WeightStore;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.DataException;
import dev.sequent.type.Shape;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;

/**
 * Stores a model as a directory with {@value #CONFIG} and {@code model.safetensors} (or shards with an index), and loads it again. The
 * format is that of a {@link CheckpointFamily}.
 */
public final class ModelFiles {
    /** Name of the configuration file. */
    public static final String CONFIG = "config.json";

    /** Name of this library's own format, which expresses every model. */
    public static final String OWN = OwnFormat.NAME;

    /** Files of weights are split at this size. */
    public static final long MAX_SHARD_BYTES = 5_000_000_000L;

    private static final long MAX_CONFIG_BYTES = 1 << 22;
    private static final long SLACK = 2;
    private static final long MIN_VALUES = 1 << 20;
    private static final String DTYPE = "torch_dtype";

    private ModelFiles() {}

    /**
     * Writes a model into {@code directory}, which is created when missing, in the format from which it was loaded, else in this library's
     * own; each file is replaced as a whole.
     */
    public static void save(LanguageModel model, Path directory) {
        save(model, directory, model.origin().map(o -> o.family().name()).orElse(OWN), MAX_SHARD_BYTES);
    }

    /**
     * Writes a model into {@code directory}, which is created when missing; each file is replaced as a whole, the configuration last.
     *
     * @param family name of the format
     * @param maxShardBytes weights that take more are split into files of at most this size
     * @throws ConfigException when there is no such format, or it cannot express the model
     * @throws CheckpointException when the files cannot be written
     */
    public static void save(LanguageModel model, Path directory, String family, long maxShardBytes) {
        CheckpointFamily format = CheckpointFamilies.named(family);
        format.refusal(model.config()).ifPresent(reason -> {
            throw new ConfigException("save", "a model that the format " + family + " can express", reason);
        });
        try {
            Files.createDirectories(directory);
        } catch (IOException e) {
            throw new CheckpointException("[save] expected a directory that can be created, given " + directory + " (" + e + ")", e);
        }
        StoredParameters parameters = new StoredParameters(format.keys(model.config()), model.namedParameters());
        SafetensorsIndex.write(directory, Map.of("format", "pt"), parameters.sources(), maxShardBytes);
        AtomicFiles.write(directory.resolve(CONFIG), Json.ofJava(values(model, format)).writePretty());
    }

    /** What {@value #CONFIG} says: the model's values, those that were carried along, and the type of its parameters. */
    private static Map<String, Object> values(LanguageModel model, CheckpointFamily format) {
        Map<String, Object> values = new LinkedHashMap<>(format.write(model.config()));
        model.origin().filter(o -> o.family().name().equals(format.name())).ifPresent(o -> format.carried().forEach(key -> {
            if (o.values().containsKey(key)) {
                values.put(key, o.values().get(key));
            }
        }));
        if (format.carried().contains(DTYPE)) {
            values.remove("dtype");
            DType dtype = model.namedParameters().values().iterator().next().value().dtype();
            values.put(DTYPE, switch (dtype) {
                case F64 -> "float64";
                case BF16 -> "bfloat16";
                case F16 -> "float16";
                default -> "float32";
            });
        }
        return values;
    }

    /**
     * The configuration stored in {@code directory}, in any format of {@link CheckpointFamilies#known}.
     *
     * @throws CheckpointException when the file is missing or malformed
     * @throws ConfigException when the configuration is invalid
     */
    public static LanguageModelConfig config(Path directory) {
        Map<String, Object> values = read(directory);
        return CheckpointFamilies.of(values).parse(values);
    }

    private static Map<String, Object> read(Path directory) {
        if (!Files.isDirectory(directory)) {
            throw new CheckpointException("load", "a directory with " + CONFIG + " and " + WeightStore.SINGLE,
                    Files.exists(directory) ? "the file " + directory : "the missing " + directory);
        }
        Json json = Json.read(directory.resolve(CONFIG), MAX_CONFIG_BYTES, Json.Dialect.PYTHON, CheckpointException::new);
        try {
            if (json instanceof Json.Obj && json.toJava() instanceof Map<?, ?> map) {
                Map<String, Object> values = new LinkedHashMap<>();
                map.forEach((k, v) -> values.put(String.valueOf(k), v));
                return values;
            }
        } catch (DataException outOfRange) {
            throw new ConfigException("[" + CONFIG + "] expected numbers of 64 bits, given others (" + outOfRange.getMessage() + ")",
                    outOfRange);
        }
        throw new CheckpointException("load", "a JSON object in " + CONFIG, "another value");
    }

    /**
     * Loads the model stored in {@code directory}, in any format of {@link CheckpointFamilies#known}; values are converted to
     * {@code dtype}.
     *
     * @param dtype F32, BF16 or F64, as far as the device supports it
     * @throws CheckpointException when files are missing or malformed, or tensors are missing, unknown or of another shape
     * @throws ConfigException when the configuration is invalid or describes what this library does not implement
     * @throws DTypeException when there are no models of this type on the device
     */
    public static LanguageModel load(Path directory, Device device, DType dtype) {
        return open(directory, device, dtype, (model, parameters, store) -> {
            parameters.assign(store);
            return model;
        });
    }

    /**
     * Shows the model stored in {@code directory} and its files to {@code use}: a model of shapes without values, checked as in
     * {@link #load} and closed afterwards.
     */
    static <T> T outline(Path directory, DType dtype, BiFunction<LanguageModel, WeightStore, T> use) {
        try (Device shapes = Device.shapes()) {
            return open(directory, shapes, dtype, (model, parameters, store) -> {
                parameters.requireFit(store);
                T result = use.apply(model, store);
                model.close();
                return result;
            });
        }
    }

    /** What to do with a model whose parameters are blank, and the files that they come from. */
    private interface Opened<T> {
        T use(LanguageModel model, StoredParameters parameters, WeightStore store);
    }

    private static <T> T open(Path directory, Device device, DType dtype, Opened<T> then) {
        if (!Set.of(DType.F32, DType.BF16, DType.F64).contains(dtype) || !device.supports(dtype)) {
            throw new DTypeException("load", "F32, BF16 or F64, as far as " + device + " supports it", dtype.toString());
        }
        Map<String, Object> values = read(directory);
        CheckpointFamily family = CheckpointFamilies.of(values);
        LanguageModelConfig config = family.parse(values);
        try (WeightStore store = WeightStore.open(directory)) {
            KeyMap keys = family.keys(config);
            requireSizes(config, keys, store);
            LanguageModel model = create(config, store, Init.blank(device, dtype), new LanguageModel.Origin(family, values));
            try {
                return then.use(model, new StoredParameters(keys, model.namedParameters()), store);
            } catch (RuntimeException | Error failure) {
                model.close();
                throw failure;
            }
        }
    }

    /** Refuses a configuration that claims to be much larger than the file, as far as that can be seen without making anything. */
    private static void requireSizes(LanguageModelConfig config, KeyMap keys, WeightStore store) {
        Map<String, Shape> tables = new LinkedHashMap<>();
        tables.put("embeddings.weight", Shape.of(config.vocab_size(), config.hidden_size()));
        if (config.max_position_embeddings() > 0) {
            tables.put("position_embeddings.weight", Shape.of(config.max_position_embeddings(), config.hidden_size()));
        }
        Set<String> stored = new HashSet<>();
        store.tensors().forEach(t -> stored.add(t.name()));
        boolean bare = keys.isBare(stored);
        for (KeyMap.Slot slot : keys.slots(tables)) {
            StoredParameters.require(store, keys.find(slot.key(), stored, bare), slot.shape());
        }
        if (config.layers().size() > stored.size()) {
            throw new CheckpointException("load", "the tensors of " + config.layers().size() + " layers",
                    stored.size() + " tensors in all");
        }
    }

    /**
     * A model of the size that the stored tensors have: a configuration that claims to be much larger is refused before its memory is
     * taken.
     */
    private static LanguageModel create(LanguageModelConfig config, WeightStore store, Init init, LanguageModel.Origin origin) {
        long values = 0;
        for (StoredTensor t : store.tensors()) {
            values = Math.addExact(values, t.shape().size());
        }
        try {
            // room for values that are computed on the way; small differences are told by name and shape afterwards
            return new LanguageModel(config, init.remembering(SLACK * values + MIN_VALUES), origin);
        } catch (ConfigException tooLarge) {
            throw new CheckpointException("[load] expected a configuration that fits the " + values
                    + " stored values, given one that does not (" + tooLarge.getMessage() + ")", tooLarge);
        }
    }

    /**
     * Requires that {@code store}, a file of this library's own format, has exactly the parameters of {@code model}: the same names, the
     * same shapes.
     *
     * @throws CheckpointException when it does not
     */
    public static void requireFit(LanguageModel model, WeightStore store) {
        own(model).requireFit(store);
    }

    /**
     * Replaces all parameters of {@code model} by the tensors of {@code store}, a file of this library's own format: the same names, the
     * same shapes,
     * converted to the parameters' types.
     *
     * @throws CheckpointException when they do not fit; the model is then unchanged
     */
    public static void assign(LanguageModel model, WeightStore store) {
        own(model).assign(store);
    }

    private static StoredParameters own(LanguageModel model) {
        return new StoredParameters(new OwnFormat().keys(model.config()), model.namedParameters());
    }
}
