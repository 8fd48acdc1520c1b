package dev.sequent.model;

import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.io.StoredTensor;
import dev.sequent.io.TensorFiles;
import dev.sequent.io.WeightStore;
import dev.sequent.nn.Init;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** Stores a model as a directory with {@value #CONFIG} and {@code model.safetensors}, and loads it again. */
public final class ModelFiles {
    /** Name of the configuration file. */
    public static final String CONFIG = "config.json";

    private static final long MAX_CONFIG_BYTES = 1 << 24;
    private static final long SLACK = 2;
    private static final long MIN_VALUES = 1 << 20;

    private ModelFiles() {}

    /** Writes configuration and parameters into {@code directory}, which is created when missing; each file is replaced as a whole. */
    public static void save(LanguageModel model, Path directory) {
        try {
            Files.createDirectories(directory);
        } catch (IOException e) {
            throw new CheckpointException("[save] expected a directory that can be created, given " + directory + " (" + e + ")", e);
        }
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        model.namedParameters().forEach((name, p) -> tensors.put(name, p.value()));
        TensorFiles.save(directory.resolve(WeightStore.SINGLE), Map.of("format", "pt"), tensors);
        AtomicFiles.write(directory.resolve(CONFIG), Json.ofJava(model.config().toMap()).writePretty());
    }

    /** The configuration stored in {@code directory}. */
    public static LanguageModelConfig config(Path directory) {
        Json json = Json.read(directory.resolve(CONFIG), MAX_CONFIG_BYTES, Json.Dialect.STRICT, CheckpointException::new);
        if (!(json.toJava() instanceof Map<?, ?> map)) {
            throw new CheckpointException("load", "a JSON object in " + CONFIG, "another value");
        }
        Map<String, Object> values = new LinkedHashMap<>();
        map.forEach((k, v) -> values.put(String.valueOf(k), v));
        return LanguageModelConfig.parse(values);
    }

    /**
     * Loads the model stored in {@code directory}; floats become {@code dtype}.
     *
     * @throws CheckpointException when files are missing or malformed, or tensors are missing, unknown or of another shape
     * @throws dev.sequent.type.ConfigException when the configuration is invalid
     */
    public static LanguageModel load(Path directory, Device device, DType dtype) {
        LanguageModelConfig config = config(directory);
        try (WeightStore store = WeightStore.open(directory)) {
            LanguageModel model = create(config, store, new Init(device, dtype, new Rng(0)));
            try {
                assign(model, store);
                return model;
            } catch (RuntimeException | Error failure) {
                model.close();
                throw failure;
            }
        }
    }

    /**
     * A model of the size that the stored tensors have: a configuration that claims to be much larger is refused before its memory is
     * taken.
     */
    private static LanguageModel create(LanguageModelConfig config, WeightStore store, Init init) {
        require(store, "embeddings.weight", config.vocab_size(), config.hidden_size());
        if (config.max_position_embeddings() > 0) {
            require(store, "position_embeddings.weight", config.max_position_embeddings(), config.hidden_size());
        }
        long values = 0;
        for (StoredTensor t : store.tensors()) {
            values = Math.addExact(values, t.shape().size());
        }
        try {
            // room for values that are computed on the way; small differences are told by name and shape afterwards
            return new LanguageModel(config, init.remembering(SLACK * values + MIN_VALUES));
        } catch (ConfigException tooLarge) {
            throw new CheckpointException("[load] expected a configuration that fits the " + values
                    + " stored values, given one that does not (" + tooLarge.getMessage() + ")", tooLarge);
        }
    }

    private static void require(WeightStore store, String name, long... shape) {
        if (!store.tensor(name).shape().equals(Shape.of(shape))) {
            throw new CheckpointException("load", name + " of shape " + Shape.of(shape) + ", as configured",
                    store.tensor(name).shape().toString());
        }
    }

    /**
     * Requires that {@code store} has exactly the parameters of {@code model}: the same names, the same shapes.
     *
     * @throws CheckpointException when it does not
     */
    public static void requireFit(LanguageModel model, WeightStore store) {
        Map<String, Parameter> parameters = model.namedParameters();
        store.requireExactly(parameters.keySet());
        parameters.forEach((name, p) -> require(store, name, p.value().shape().toArray()));
    }

    /**
     * Replaces all parameters of {@code model} by the tensors of {@code store}: the same names, the same shapes, converted to the
     * parameters' dtypes.
     *
     * @throws CheckpointException when they do not fit; the model is then unchanged
     */
    public static void assign(LanguageModel model, WeightStore store) {
        requireFit(model, store);
        model.namedParameters().forEach((name, p) -> {
            try (Scope _ = Scope.open()) {
                p.set(TensorFiles.load(store, name, model.device(), p.value().dtype()));
            }
        });
    }
}
