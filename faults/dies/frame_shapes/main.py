def project(point, matrix):
    if len(point) != len(matrix):
        raise ValueError(f"shapes do not match: {len(point)} against {len(matrix)}")
    return sum(a * b for a, b in zip(point, matrix)) / 0


print(project([1.0, 2.0], [0.5, 0.25]))
