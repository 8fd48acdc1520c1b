package dev.sequent.io;

import dev.sequent.type.CheckpointException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A checkpoint in several safetensors files (shards), listed by a {@code *.safetensors.index.json} whose {@code weight_map}
 * says which file holds which tensor.
 *
 * <p>A file name is one name in the index's own directory: absolute paths, parent paths, separators and links that lead elsewhere are
 * refused. Every shard must exist and hold exactly the tensors that the index promises.
 *
 * <p>An open index is safe for use by several threads.
 */
public final class SafetensorsIndex implements WeightStore {
    private static final long MAX_BYTES = 1 << 25;
    private static final Pattern SHARD = Pattern.compile("model-\\d{5}-of-\\d{5}\\.safetensors");

    private final String source;
    private final Map<String, SafetensorsFile> shardOf;
    private final List<SafetensorsFile> shards;
    private final List<StoredTensor> tensors;

    private SafetensorsIndex(String source, Map<String, SafetensorsFile> shardOf, List<SafetensorsFile> shards) {
        this.source = source;
        this.shardOf = shardOf;
        this.shards = shards;
        this.tensors = shards.stream().flatMap(shard -> shard.tensors().stream()).toList();
    }

    /**
     * Opens an index and all its shards.
     *
     * @throws CheckpointException when the index or a shard is malformed, or they disagree
     */
    public static SafetensorsIndex open(Path index) {
        String source = String.valueOf(index.getFileName());
        JsonView root = JsonView.of(Json.read(index, MAX_BYTES, Json.Dialect.PYTHON, CheckpointException::new), source,
                CheckpointException::new);
        Map<String, Set<String>> namesByShard = new LinkedHashMap<>();
        root.at("weight_map").members().forEach((name, file) -> {
            if (name.isEmpty()) {
                throw new CheckpointException(source, "tensors with names", "an empty name");
            }
            namesByShard.computeIfAbsent(plainName(file), f -> new LinkedHashSet<>()).add(name);
        });
        if (namesByShard.isEmpty()) {
            throw new CheckpointException(source, "at least one tensor in weight_map", "none");
        }
        List<SafetensorsFile> shards = new ArrayList<>();
        boolean complete = false;
        try {
            Map<String, SafetensorsFile> shardOf = new LinkedHashMap<>();
            for (Map.Entry<String, Set<String>> entry : namesByShard.entrySet()) {
                requireInside(source, index, entry.getKey());
                SafetensorsFile shard = SafetensorsFile.open(index.resolveSibling(entry.getKey()));
                shards.add(shard);
                requireSame(source, entry.getKey(), entry.getValue(), shard);
                entry.getValue().forEach(name -> shardOf.put(name, shard));
            }
            complete = true;
            return new SafetensorsIndex(source, shardOf, List.copyOf(shards));
        } finally {
            if (!complete) {
                shards.forEach(SafetensorsFile::close);
            }
        }
    }

    /**
     * Writes tensors into {@code directory}: as {@value WeightStore#SINGLE} where that takes at most {@code maxShardBytes}, else as shards
     * of at most that size (one tensor may take more) with {@value WeightStore#INDEX}. Every file replaces its predecessor as a whole, the
     * index after its shards; files of an earlier checkpoint that the new one does not list are removed.
     *
     * @throws CheckpointException when names repeat or the disk fails
     */
    public static void write(Path directory, Map<String, String> metadata, List<? extends SafetensorsFile.Source> sources,
            long maxShardBytes) {
        List<List<SafetensorsFile.Source>> shards = split(sources, maxShardBytes);
        Set<String> written = new LinkedHashSet<>();
        if (shards.size() == 1) {
            SafetensorsFile.write(directory.resolve(SINGLE), metadata, sources);
            written.add(SINGLE);
        } else {
            Map<String, Object> weightMap = new TreeMap<>();
            for (int i = 0; i < shards.size(); i++) {
                String name = String.format(Locale.ROOT, "model-%05d-of-%05d.safetensors", i + 1, shards.size());
                SafetensorsFile.write(directory.resolve(name), metadata, shards.get(i));
                written.add(name);
                shards.get(i).forEach(s -> weightMap.put(s.tensor().name(), name));
            }
            long bytes = sources.stream().mapToLong(s -> s.tensor().bytes()).sum();
            AtomicFiles.write(directory.resolve(INDEX),
                    Json.ofJava(Map.of("metadata", Map.of("total_size", bytes), "weight_map", weightMap)).writePretty());
            written.add(INDEX);
        }
        removeOthers(directory, written);
    }

    private static List<List<SafetensorsFile.Source>> split(List<? extends SafetensorsFile.Source> sources, long maxShardBytes) {
        Set<String> names = new HashSet<>();
        List<List<SafetensorsFile.Source>> shards = new ArrayList<>(List.of(new ArrayList<>()));
        long bytes = 0;
        for (SafetensorsFile.Source source : sources) {
            if (!names.add(source.tensor().name())) {
                throw new CheckpointException("safetensors", "distinct names", JsonWriter.brief(source.tensor().name()) + " twice");
            }
            if (source.tensor().bytes() > maxShardBytes - bytes && !shards.getLast().isEmpty()) {
                shards.add(new ArrayList<>());
                bytes = 0;
            }
            shards.getLast().add(source);
            bytes += source.tensor().bytes();
        }
        return shards;
    }

    private static void removeOthers(Path directory, Set<String> written) {
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : files.toList()) {
                String name = file.getFileName().toString();
                boolean weights = name.equals(SINGLE) || name.equals(INDEX) || SHARD.matcher(name).matches();
                if (weights && !written.contains(name)) {
                    Files.delete(file);
                }
            }
        } catch (IOException | UncheckedIOException e) {
            throw new CheckpointException("[write] expected to remove an earlier checkpoint's files from " + directory + ", given " + e, e);
        }
    }

    @Override
    public List<StoredTensor> tensors() {
        return tensors;
    }

    @Override
    public boolean contains(String name) {
        return shardOf.containsKey(name);
    }

    @Override
    public StoredTensor tensor(String name) {
        return shard(name).tensor(name);
    }

    @Override
    public MemorySegment data(String name) {
        return shard(name).data(name);
    }

    /** Metadata of all shards; where two shards disagree the first one's value is taken. */
    @Override
    public Map<String, String> metadata() {
        Map<String, String> all = new LinkedHashMap<>();
        shards.forEach(shard -> shard.metadata().forEach(all::putIfAbsent));
        return all;
    }

    @Override
    public void close() {
        shards.forEach(SafetensorsFile::close);
    }

    private SafetensorsFile shard(String name) {
        SafetensorsFile shard = shardOf.get(name);
        if (shard == null) {
            throw new CheckpointException(source, "a tensor " + JsonWriter.brief(name), "only " + JsonView.names(shardOf.keySet()));
        }
        return shard;
    }

    private static String plainName(JsonView file) {
        String name = file.asString();
        boolean plain = !name.isEmpty() && !name.equals(".") && !name.equals("..") && name.length() <= 255
                && name.chars().noneMatch(c -> c == '/' || c == '\\' || c == ':' || c < 0x20);
        if (!plain || !isPath(name)) {
            throw file.mismatch("the plain name of a file beside the index");
        }
        return name;
    }

    /** Whether the file system can express a name: one in the C locale has no letters beyond ASCII. */
    private static boolean isPath(String name) {
        try {
            Path.of(name);
            return true;
        } catch (InvalidPathException e) {
            return false;
        }
    }

    /**
     * Refuses a link that leads out of the index's directory. Only the cache of the Hugging Face hub keeps files elsewhere: those of
     * {@code X/snapshots/R} in {@code X/blobs}.
     */
    private static void requireInside(String source, Path index, String name) {
        Path shard = index.resolveSibling(name);
        if (!Files.exists(shard)) {
            return;
        }
        try {
            Path directory = index.toAbsolutePath().getParent().toRealPath();
            Path target = shard.toRealPath();
            Path snapshots = directory.getParent();
            boolean hub = snapshots != null && snapshots.endsWith("snapshots") && target.startsWith(snapshots.resolveSibling("blobs"));
            if (!directory.equals(target.getParent()) && !hub) {
                throw new CheckpointException(source, "shards in the directory of the index",
                        JsonWriter.brief(name) + ", a link to another one");
            }
        } catch (IOException e) {
            throw new CheckpointException("[" + source + "] expected a readable shard, given " + JsonWriter.brief(name) + ": " + e, e);
        }
    }

    private static void requireSame(String source, String file, Set<String> promised, SafetensorsFile shard) {
        List<String> missing = promised.stream().filter(name -> !shard.contains(name)).toList();
        if (!missing.isEmpty()) {
            throw new CheckpointException(source, JsonView.names(missing) + " in " + JsonWriter.brief(file), "a shard without");
        }
        List<String> extra = shard.tensors().stream().map(StoredTensor::name).filter(name -> !promised.contains(name)).toList();
        if (!extra.isEmpty()) {
            throw new CheckpointException(source, "every tensor of " + JsonWriter.brief(file) + " in weight_map",
                    JsonView.names(extra) + " besides");
        }
    }
}
