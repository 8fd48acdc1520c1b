package dev.sequent.io;

import dev.sequent.type.CheckpointException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Named tensors in files, memory-mapped and read-only: one safetensors file, or several listed by an index.
 *
 * <p>Opening checks everything that the files say about themselves; afterwards a tensor's bytes are there without being
 * copied. They are little-endian and, in files written elsewhere, not necessarily aligned. Safe for use by several
 * threads; {@link #close} ends the validity of all segments, and a later access is an {@link IllegalStateException}.
 * The files must not be changed while they are open.
 */
public sealed interface WeightStore extends AutoCloseable permits SafetensorsFile, SafetensorsIndex {
    /** Name of the single-file checkpoint in a directory. */
    String SINGLE = "model.safetensors";

    /** Name of the index of a checkpoint in several files. */
    String INDEX = "model.safetensors.index.json";

    /**
     * Opens a safetensors file, an index ({@code *.json}), or the checkpoint in a directory: {@value #SINGLE} where it exists, else
     * {@value #INDEX}.
     *
     * @throws CheckpointException when there is none, or it is malformed
     */
    static WeightStore open(Path path) {
        Path file = path;
        if (Files.isDirectory(path)) {
            file = Files.exists(path.resolve(SINGLE)) ? path.resolve(SINGLE) : path.resolve(INDEX);
            if (!Files.exists(file)) {
                throw new CheckpointException("checkpoint", "a directory with " + SINGLE + " or " + INDEX,
                        "the directory " + path + " without");
            }
        }
        return String.valueOf(file.getFileName()).endsWith(".json") ? SafetensorsIndex.open(file) : SafetensorsFile.open(file);
    }

    /** All tensors in file order. */
    List<StoredTensor> tensors();

    /** True when there is a tensor called {@code name}. */
    boolean contains(String name);

    /**
     * The tensor called {@code name}.
     *
     * @throws CheckpointException when there is none
     */
    StoredTensor tensor(String name);

    /**
     * The bytes of the tensor called {@code name}, read-only.
     *
     * @throws CheckpointException when there is none, or the store is closed
     */
    MemorySegment data(String name);

    /**
     * Requires that the tensors are exactly those called {@code names}.
     *
     * @throws CheckpointException that lists the missing and the unknown ones
     */
    default void requireExactly(Collection<String> names) {
        requireExactly(names, _ -> false);
    }

    /**
     * Requires the tensors called {@code names} and no other ones, except those that {@code besides} accepts.
     *
     * @throws CheckpointException that lists the missing and the unknown ones, in alphabetical order
     */
    default void requireExactly(Collection<String> names, Predicate<String> besides) {
        Set<String> expected = new LinkedHashSet<>(names);
        List<String> missing = expected.stream().filter(name -> !contains(name)).sorted().toList();
        List<String> unknown = tensors().stream().map(StoredTensor::name).filter(n -> !expected.contains(n) && !besides.test(n)).sorted()
                .toList();
        if (!missing.isEmpty() || !unknown.isEmpty()) {
            throw new CheckpointException("checkpoint", "the " + expected.size() + " tensors of the model",
                    (missing.isEmpty() ? "" : "a checkpoint without " + JsonView.names(missing))
                    + (missing.isEmpty() || unknown.isEmpty() ? "" : " and ")
                    + (unknown.isEmpty() ? "" : "the unknown " + JsonView.names(unknown)));
        }
    }

    /** Free text stored with the tensors. */
    Map<String, String> metadata();

    /** Unmaps the files. Idempotent. */
    @Override
    void close();
}
