package dev.sequent.io;

import dev.sequent.type.CheckpointException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A checkpoint in several safetensors files (shards), listed by a {@code *.safetensors.index.json} whose {@code weight_map}
 * says which file holds which tensor.
 *
 * <p>A file name is one name in the index's own directory: absolute paths, parent paths and separators are refused. Every
 * shard must exist and hold exactly the tensors that the index promises.
 *
 * <p>An open index is safe for use by several threads.
 */
public final class SafetensorsIndex implements WeightStore {
    private static final long MAX_BYTES = 100_000_000;

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
        if (!plain) {
            throw file.mismatch("the plain name of a file beside the index");
        }
        return name;
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
