package dev.sequent.train;

import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import dev.sequent.io.StoredTensor;
import dev.sequent.io.TensorFiles;
import dev.sequent.io.WeightStore;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelFiles;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.ConfigException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Stored states of a training run: a directory {@code step-N} per checkpoint with the model ({@code config.json},
 * {@code model.safetensors}), the optimizer's moments ({@code optimizer.safetensors}) and the run's position and provenance
 * ({@code run.json}).
 *
 * <p>A checkpoint is written under a temporary name, flushed to the disk and renamed when it is complete, so a run that is killed while
 * saving leaves the previous checkpoint as the latest. Used by one thread and one run at a time.
 */
public final class Checkpoints {
    private static final Pattern NAME = Pattern.compile("step-(0|[1-9]\\d{0,17})");
    private static final Pattern LEFTOVER = Pattern.compile("\\.step-\\d+\\.(tmp|old)");
    private static final String OPTIMIZER = "optimizer.safetensors";
    private static final String RUN = "run.json";
    private static final long MAX_RUN_BYTES = 1 << 24;

    private final Path directory;
    private final int keep;

    /** Checkpoints under {@code directory}, of which the newest {@code keep} (at least one) are kept. */
    public Checkpoints(Path directory, int keep) {
        if (keep < 1) {
            throw new ConfigException("checkpoints", "at least one to keep", keep + "");
        }
        this.directory = directory;
        this.keep = keep;
    }

    /**
     * Stores the state of a run and removes the oldest checkpoints, never the new one.
     *
     * @param provenance further JSON-like values to keep with it, for example the command line and data set
     * @return the checkpoint's directory
     * @throws CheckpointException when it cannot be written; earlier checkpoints are then untouched
     */
    public Path save(LanguageModel model, Optimizer optimizer, Trainer.Position position, Map<String, Object> provenance) {
        Path target = directory.resolve("step-" + position.step());
        Path temporary = directory.resolve(".step-" + position.step() + ".tmp");
        Path previous = directory.resolve(".step-" + position.step() + ".old");
        try {
            Files.createDirectories(directory);
            removeLeftovers();
            ModelFiles.save(model, temporary, ModelFiles.OWN, Long.MAX_VALUE);
            TensorFiles.save(temporary.resolve(OPTIMIZER), Map.of("format", "pt"), optimizer.state());
            AtomicFiles.write(temporary.resolve(RUN), Json.ofJava(record(model, optimizer, position, provenance)).writePretty());
            if (Files.exists(target)) {
                AtomicFiles.rename(target, previous);
            }
            AtomicFiles.rename(temporary, target);
            removeLeftovers();
            List<Path> others = list().stream().filter(p -> !p.equals(target)).toList();
            for (Path old : others.subList(0, Math.max(0, others.size() + 1 - keep))) {
                delete(old);
            }
        } catch (IOException | UncheckedIOException e) {
            throw new CheckpointException("[checkpoint] expected to write " + target + ", given " + e, e);
        }
        return target;
    }

    private static Map<String, Object> record(LanguageModel model, Optimizer optimizer, Trainer.Position position,
            Map<String, Object> provenance) {
        Map<String, Object> run = new LinkedHashMap<>();
        run.put("step", position.step());
        run.put("tokens", position.tokens());
        run.put("dropout_position", position.dropoutPosition());
        run.put("optimizer_steps", optimizer.steps());
        run.put("parameters", model.parameterCount());
        run.put("backend", model.device().toString());
        run.put("device", model.device().capabilities().description());
        run.put("java", Runtime.version().toString());
        run.put("provenance", provenance);
        return run;
    }

    /** The complete checkpoints, oldest first. */
    public List<Path> list() {
        if (!Files.isDirectory(directory)) {
            return List.of();
        }
        try (Stream<Path> entries = Files.list(directory)) {
            return entries.filter(p -> NAME.matcher(p.getFileName().toString()).matches() && Files.isRegularFile(p.resolve(RUN)))
                    .sorted(Comparator.comparingLong(Checkpoints::step)).toList();
        } catch (IOException | UncheckedIOException e) {
            throw new CheckpointException("[checkpoint] expected to list " + directory + ", given " + e, e);
        }
    }

    private static long step(Path checkpoint) {
        return Long.parseLong(checkpoint.getFileName().toString().substring("step-".length()));
    }

    /** The newest complete checkpoint. */
    public Optional<Path> latest() {
        List<Path> all = list();
        return all.isEmpty() ? Optional.empty() : Optional.of(all.getLast());
    }

    /**
     * Loads a checkpoint into a model and an optimizer of the same configuration. Everything is checked before anything is changed.
     *
     * @return the position from which {@link Trainer#resume} continues
     * @throws CheckpointException when a file is missing or malformed, or does not fit
     */
    public static Trainer.Position restore(Path checkpoint, LanguageModel model, Optimizer optimizer) {
        Json json = Json.read(checkpoint.resolve(RUN), MAX_RUN_BYTES, Json.Dialect.STRICT, CheckpointException::new);
        JsonView run = JsonView.of(json, RUN, CheckpointException::new);
        Trainer.Position position = new Trainer.Position(count(run, "step"), count(run, "tokens"), count(run, "dropout_position"));
        long optimizerSteps = count(run, "optimizer_steps");
        try (WeightStore weights = WeightStore.open(checkpoint.resolve(WeightStore.SINGLE));
                WeightStore moments = WeightStore.open(checkpoint.resolve(OPTIMIZER));
                Scope _ = Scope.open()) {
            ModelFiles.requireFit(model, weights);
            requireFit(optimizer.state(), moments);
            optimizer.restore(TensorFiles.load(moments, model.device()), optimizerSteps);
            ModelFiles.assign(model, weights);
        }
        return position;
    }

    private static long count(JsonView run, String name) {
        JsonView view = run.at(name);
        long n = view.asLong();
        if (n < 0) {
            throw view.mismatch("a number of at least 0");
        }
        return n;
    }

    private static void requireFit(Map<String, Tensor> state, WeightStore moments) {
        moments.requireExactly(state.keySet());
        state.forEach((name, tensor) -> {
            StoredTensor stored = moments.tensor(name);
            if (!stored.shape().equals(tensor.shape()) || stored.dtype() != tensor.dtype()) {
                throw new CheckpointException("checkpoint", name + " as " + tensor.dtype() + " " + tensor.shape(),
                        stored.dtype() + " " + stored.shape());
            }
        });
    }

    /** Removes what runs that were killed while saving have left. */
    private void removeLeftovers() throws IOException {
        List<Path> found;
        try (Stream<Path> entries = Files.list(directory)) {
            found = entries.filter(p -> LEFTOVER.matcher(p.getFileName().toString()).matches()).toList();
        }
        for (Path p : found) {
            delete(p);
        }
    }

    private static void delete(Path tree) throws IOException {
        try (Stream<Path> all = Files.walk(tree)) {
            for (Path p : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(p);
            }
        }
    }
}
