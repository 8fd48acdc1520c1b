package dev.sequent.train;

import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import dev.sequent.io.TensorFiles;
import dev.sequent.io.WeightStore;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelFiles;
import dev.sequent.tensor.Scope;
import dev.sequent.type.CheckpointException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Stored states of a training run: a directory {@code step-N} per checkpoint with the model ({@code config.json}, {@code model.safetensors}), the
 * optimizer's moments ({@code optimizer.safetensors}) and the run's position and provenance ({@code run.json}).
 *
 * <p>A checkpoint is written under a temporary name and renamed when it is complete, so a run that is killed while saving leaves the previous
 * checkpoint as the latest. Used by one thread.
 */
public final class Checkpoints {
    private static final Pattern NAME = Pattern.compile("step-(\\d{1,18})");
    private static final String OPTIMIZER = "optimizer.safetensors";
    private static final String RUN = "run.json";
    private static final long MAX_RUN_BYTES = 1 << 24;

    private final Path directory;
    private final int keep;

    /** Checkpoints under {@code directory}, of which the newest {@code keep} are kept. */
    public Checkpoints(Path directory, int keep) {
        this.directory = directory;
        this.keep = Math.max(1, keep);
    }

    /**
     * Stores the state of a run.
     *
     * @param provenance further JSON-like values to keep with it, for example the command line and data set
     * @return the checkpoint's directory
     */
    public Path save(LanguageModel model, Optimizer optimizer, Trainer.Position position, Map<String, Object> provenance) {
        Path target = directory.resolve("step-" + position.step());
        Path temporary = directory.resolve(".step-" + position.step() + ".tmp");
        try {
            Files.createDirectories(directory);
            delete(temporary);
            ModelFiles.save(model, temporary);
            TensorFiles.save(temporary.resolve(OPTIMIZER), Map.of("format", "pt"), optimizer.state());
            AtomicFiles.write(temporary.resolve(RUN), Json.ofJava(record(model, optimizer, position, provenance)).writePretty());
            delete(target);
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
            List<Path> all = list();
            for (Path old : all.subList(0, Math.max(0, all.size() - keep))) {
                delete(old);
            }
        } catch (IOException e) {
            throw new CheckpointException("[checkpoint] expected to write " + target + ", given " + e, e);
        }
        return target;
    }

    private static Map<String, Object> record(LanguageModel model, Optimizer optimizer, Trainer.Position position, Map<String, Object> provenance) {
        Map<String, Object> run = new LinkedHashMap<>();
        run.put("step", position.step());
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
        } catch (IOException e) {
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
     * Loads a checkpoint into a model and an optimizer of the same configuration.
     *
     * @return the position from which {@link Trainer#resume} continues
     * @throws CheckpointException when a file is missing or malformed, or does not fit
     */
    public static Trainer.Position restore(Path checkpoint, LanguageModel model, Optimizer optimizer) {
        JsonView run = JsonView.of(Json.read(checkpoint.resolve(RUN), MAX_RUN_BYTES, Json.Dialect.STRICT, CheckpointException::new), RUN, CheckpointException::new);
        Trainer.Position position = new Trainer.Position(run.at("step").asLong(), run.at("dropout_position").asLong());
        try (WeightStore weights = WeightStore.open(checkpoint.resolve(WeightStore.SINGLE));
                WeightStore moments = WeightStore.open(checkpoint.resolve(OPTIMIZER));
                Scope _ = Scope.open()) {
            ModelFiles.assign(model, weights);
            optimizer.restore(TensorFiles.load(moments, model.device()), run.at("optimizer_steps").asLong());
        }
        return position;
    }

    private static void delete(Path tree) throws IOException {
        if (Files.notExists(tree)) {
            return;
        }
        try (Stream<Path> all = Files.walk(tree)) {
            for (Path p : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(p);
            }
        }
    }
}
